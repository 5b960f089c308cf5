foreach(name body_store cluster message proof recover step)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_bft_${name}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/bft_host.c DEPENDS ord_bft PkgConfig::OPENSSL)
endforeach()
