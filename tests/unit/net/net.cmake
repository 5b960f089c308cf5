# The tests of net/ use crypto/ for their certificates.
foreach(name link call limits interop probe strangers tls)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/net/test_net_${name}.c TIMEOUT 180
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/net_support.c DEPENDS ord_net ord_crypto)
endforeach()

ord_program(net_strangers SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/cluster/net_strangers.c)
add_dependencies(test_net_strangers net_strangers)
set(strangers 10000)
if(ORD_ASAN OR ORD_TSAN) # which make each cost ten times as much
    set(strangers 2000)
endif()
target_compile_definitions(test_net_strangers PRIVATE NET_STRANGERS="$<TARGET_FILE:net_strangers>"
                                                      NET_STRANGERS_COUNT="${strangers}")
