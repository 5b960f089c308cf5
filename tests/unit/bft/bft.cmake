foreach(name adopt body_store choose cluster failed fetch hand_over lag left_out message new_view pace proof ratchet
             recall records recover repeat rotate seam silence silence_messages silence_views step suspect view_change
             view_message useless view_restart view_trouble wants witness)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/bft/test_bft_${name}.c
                  SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/bft_host.c DEPENDS ord_bft PkgConfig::OPENSSL)
endforeach()
