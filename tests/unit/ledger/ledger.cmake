foreach(name crash repair room scrub store)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/ledger/test_ledger_${name}.c SOURCES
                  ${CMAKE_CURRENT_SOURCE_DIR}/support/ledger_support.c DEPENDS ord_ledger)
endforeach()
