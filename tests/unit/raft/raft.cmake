foreach(name cluster election message log point recovery refuse rules seam start)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/raft/test_raft_${name}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/raft_net.c DEPENDS ord_raft)
endforeach()
