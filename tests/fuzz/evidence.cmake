ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_evidence.c DEPENDS ord_evidence)
target_sources(fuzz_evidence PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/unit/channel_support.c
                                     ${CMAKE_CURRENT_SOURCE_DIR}/unit/evidence_support.c)
