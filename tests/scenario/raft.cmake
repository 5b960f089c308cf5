# Golden traces of Raft, one ctest per script. `scenario_raft --rewrite FILE` renews the expectations.
add_executable(scenario_raft ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_raft.c
                             ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_raft_print.c
                             ${CMAKE_CURRENT_SOURCE_DIR}/scenario/scenario_script.c
                             ${CMAKE_CURRENT_SOURCE_DIR}/support/raft_net.c)
target_link_libraries(scenario_raft PRIVATE ord_options ord_raft)
foreach(name earlier_terms earlier_terms_commit election halt leader_disk leader_disk_crash log_repair lost_disk
             normal_case old_disk one_way partition snapshot snapshot_drops snapshot_keeps split_vote transfer
             transfer_lost vote_crash)
    add_test(NAME scenario.raft.${name}
             COMMAND scenario_raft ${CMAKE_CURRENT_SOURCE_DIR}/scenario/raft_${name}.txt)
    set_tests_properties(scenario.raft.${name} PROPERTIES LABELS scenario TIMEOUT 60)
endforeach()
