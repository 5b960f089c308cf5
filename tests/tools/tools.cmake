# Tools of the tests, never installed. A disk that fails, to be preloaded into a program.
add_library(io_fault MODULE tools/io_fault.c)
target_link_libraries(io_fault PRIVATE ord_options ${CMAKE_DL_LIBS})
