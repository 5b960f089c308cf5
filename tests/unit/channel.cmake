foreach(subject attestation block config cutter envelope history receipt state transfer)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/test_channel_${subject}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/channel_support.c DEPENDS ord_channel)
endforeach()
