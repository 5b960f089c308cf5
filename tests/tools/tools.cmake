# Tools of the tests, never installed. They are preloaded into a program: a disk that fails, a power cut, and memory
# that runs out.
foreach(tool io_fault power_cut alloc_fault)
    add_library(${tool} MODULE tools/${tool}.c)
    target_link_libraries(${tool} PRIVATE ord_options ${CMAKE_DL_LIBS})
endforeach()
