# Golden traces of PBFT, one ctest per script. `scenario_bft --rewrite FILE` renews the expectations.
add_executable(scenario_bft ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_bft.c
                            ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_print.c
                            ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_script.c
                            ${CMAKE_CURRENT_SOURCE_DIR}/support/bft_host.c)
target_link_libraries(scenario_bft PRIVATE ord_options ord_bft PkgConfig::OPENSSL)
foreach(name checkpoint equivocating_halves equivocating_primary fetch hand_over lost_disk lost_messages lying_backup
             lying_primary new_view_missed normal_case pipeline refused_batch restart_backup restart_primary
             state_transfer view_change view_change_null view_change_restart view_change_twice)
    add_test(NAME scenario.bft.${name}
             COMMAND scenario_bft ${CMAKE_CURRENT_SOURCE_DIR}/scenario/bft_${name}.txt)
    set_tests_properties(scenario.bft.${name} PROPERTIES LABELS scenario TIMEOUT 60)
endforeach()
