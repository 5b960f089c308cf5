ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/node/test_node_config.c DEPENDS ord_node PkgConfig::LIBCONFIG)
foreach(name ask expiry fair)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/node/test_node_${name}.c DEPENDS ord_node)
endforeach()
# A whole replica in the test's process, which plays the other replicas (node_support.h).
foreach(name accuse admission bound judge lanes lanes_socket links loop propose readers service silence sync)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/node/test_node_${name}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/node_support.c
                          ${CMAKE_CURRENT_SOURCE_DIR}/support/node_chain.c
                          ${PROJECT_SOURCE_DIR}/cli/init_files.c
                          ${PROJECT_SOURCE_DIR}/cli/init_ports.c ${PROJECT_SOURCE_DIR}/cli/init_texts.c
                  DEPENDS ord_node)
endforeach()
target_link_options(test_node_judge PRIVATE -Wl,--wrap=calloc,--wrap=malloc)
