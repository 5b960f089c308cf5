foreach(subject batch certificate envelope genesis receipt)
    ord_fuzz_target(${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_${subject}.c DEPENDS ord_channel)
    target_sources(fuzz_${subject} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c)
endforeach()
