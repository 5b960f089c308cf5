ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_link.c DEPENDS ord_crypto)
ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_identity.c DEPENDS ord_crypto)
