ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_node_config.c DEPENDS ord_node PkgConfig::LIBCONFIG)
foreach(name pool records)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_node_${name}.c DEPENDS ord_node)
endforeach()
