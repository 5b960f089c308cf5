ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_evidence.c DEPENDS ord_evidence)
target_sources(fuzz_evidence PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c
                                     ${CMAKE_CURRENT_SOURCE_DIR}/support/evidence_support.c)
