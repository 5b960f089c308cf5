ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/evidence/test_evidence.c
              SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c
                      ${CMAKE_CURRENT_SOURCE_DIR}/support/evidence_support.c
              DEPENDS ord_evidence)

# This test covers all of docs/formats.md. It is listed here because evidence/ is the last folder that it needs.
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/channel/test_channel_vectors.c
              SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c
                      ${CMAKE_CURRENT_SOURCE_DIR}/support/evidence_support.c
              DEPENDS ord_evidence)
target_compile_definitions(test_channel_vectors PRIVATE ORD_FORMATS_FILE="${PROJECT_SOURCE_DIR}/docs/formats.md")
