ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_bft_authenticate.c DEPENDS ord_bft)
ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_bft_step.c DEPENDS ord_bft PkgConfig::OPENSSL)
target_sources(fuzz_bft_step PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/bft_host.c)

# Every build has a smoke run of both targets. Its inputs are the same each time, or libFuzzer's from one seed.
foreach(name authenticate step)
    add_test(NAME fuzz.bft_${name} COMMAND fuzz_bft_${name} -seed=1 -runs=2000)
    set_tests_properties(fuzz.bft_${name} PROPERTIES LABELS fuzz TIMEOUT 120)
endforeach()
