ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_response.c DEPENDS ord_client)
