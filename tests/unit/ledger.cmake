foreach(name crash repair room scrub store)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_ledger_${name}.c SOURCES
                  ${CMAKE_CURRENT_SOURCE_DIR}/unit/ledger_support.c DEPENDS ord_ledger)
endforeach()
