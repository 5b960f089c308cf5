foreach(subject attestation block config cutter envelope history progress protocols receipt state transfer)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/channel/test_channel_${subject}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c DEPENDS ord_channel)
endforeach()
