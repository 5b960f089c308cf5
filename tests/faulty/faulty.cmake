# `ordain-faulty`, a replica that lies: a program of the tests, never installed. Its files are also a library, so that
# they are built once.
if(TARGET ord_node)
    add_library(ord_faulty STATIC faulty/liar.c faulty/lies_batch.c faulty/lies_send.c faulty/lies_view.c
                                  faulty/lies_link.c faulty/lies_pace.c faulty/flood.c
                                  faulty/raft_liar.c)
    target_include_directories(ord_faulty PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(ord_faulty PUBLIC ord_options ord_node)
    ord_program(ordain-faulty SOURCES faulty/main.c DEPENDS ord_faulty ord_node)
endif()
