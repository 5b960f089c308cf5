ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/solo/test_solo.c DEPENDS ord_solo PkgConfig::OPENSSL)
