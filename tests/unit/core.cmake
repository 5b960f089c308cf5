foreach(name codec quorum merkle solo)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_${name}.c DEPENDS ord_core PkgConfig::OPENSSL)
endforeach()
