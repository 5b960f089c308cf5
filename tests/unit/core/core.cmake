foreach(name codec quorum merkle)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/core/test_${name}.c DEPENDS ord_core PkgConfig::OPENSSL)
endforeach()
