foreach(name pool records shares)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/replica/test_replica_${name}.c DEPENDS ord_replica)
endforeach()
# A replica whose core the test plays (tests/support/replica_bench.h).
foreach(name faults large pace rest transfer turn turns verified)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/replica/test_replica_${name}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/replica_bench.c
                          ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c
                  DEPENDS ord_replica)
endforeach()
target_link_options(test_replica_verified PRIVATE -Wl,--wrap=crypto_identity_verify)
target_link_options(test_replica_faults PRIVATE -Wl,--wrap=calloc -Wl,--wrap=malloc)
