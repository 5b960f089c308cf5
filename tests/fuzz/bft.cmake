ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_bft_authenticate.c DEPENDS ord_bft)
ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_bft_step.c DEPENDS ord_bft PkgConfig::OPENSSL)
target_sources(fuzz_bft_step PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/bft_host.c)
