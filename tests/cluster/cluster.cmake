# Tests with the real program. Each is a bash script that makes its own channel in a temporary folder, on free ports.
# Exit code 77 means that this machine cannot run the test; ctest then reports it as skipped. Tests with the label long
# are left out under the sanitizers, tests with the label rare unless scripts/test --long asks for them: they take long
# and rarely find anything. Tests that assert times or measure the machine run alone. Those with BESIDE do not:
# only one of them runs at a time, and tests of other kinds may run beside it. RAFT SCRIPT: the test of that name, in a
# raft channel.
function(ord_cluster_test name timeout)
    cmake_parse_arguments(ARG "BESIDE" "RAFT" "" ${ARGN})
    set(script ${name})
    set(consensus pbft)
    if(ARG_RAFT)
        set(script ${ARG_RAFT})
        set(consensus raft)
    endif()
    add_test(NAME cluster.${name} COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/cluster/test_${script}.sh)
    set(programs "CONSENSUS=${consensus}"
        "ORDAIN_BIN=${PROJECT_BINARY_DIR}/bin/ordain"
        "ORDAIN_FAULTY_BIN=${PROJECT_BINARY_DIR}/bin/ordain-faulty")
    set_tests_properties(
        cluster.${name} PROPERTIES LABELS "cluster;${ARG_UNPARSED_ARGUMENTS}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77
                                   ENVIRONMENT "${programs};${ORD_TEST_ENVIRONMENT}")
    if(ARG_BESIDE)
        # They begin first, so that all else runs beside them.
        set_tests_properties(cluster.${name} PROPERTIES RESOURCE_LOCK cluster COST 1000)
    else()
        set_tests_properties(cluster.${name} PROPERTIES RUN_SERIAL ON)
    endif()
endfunction()

if(TARGET ordain)
    ord_cluster_test(init 60 BESIDE)
    ord_cluster_test(solo 120 BESIDE)
    ord_cluster_test(normal 180 BESIDE)
    ord_cluster_test(knobs 180 long rare BESIDE)
    ord_cluster_test(cost 120 long)
    ord_cluster_test(bad_input 180 BESIDE)
    ord_cluster_test(hostile 300 BESIDE)
    ord_cluster_test(impostor 180 BESIDE)
    ord_cluster_test(certificates 120 BESIDE)
    ord_cluster_test(strangers 180)
    ord_cluster_test(evidence 180 BESIDE)
    ord_cluster_test(disk_full 180 BESIDE)
    ord_cluster_test(disk_error 240 long rare BESIDE)
    ord_cluster_test(clients 240 long)
    ord_cluster_test(no_memory 240 long BESIDE)
    ord_cluster_test(memory 240 long)
    ord_cluster_test(kill_backup 400 long BESIDE)
    ord_cluster_test(kill_primary 300 long)
    ord_cluster_test(stop_primary 200 long)
    ord_cluster_test(kill_all 300 long BESIDE)
    ord_cluster_test(power_cut 300 long BESIDE)
    ord_cluster_test(rotation 200 long BESIDE)
    ord_cluster_test(cut 300 long)
    ord_cluster_test(views 300 long rare)
    ord_cluster_test(twins 200 long rare BESIDE)
    ord_cluster_test(state_transfer 300 long BESIDE)
    ord_cluster_test(old_image 300 long rare BESIDE)
    ord_cluster_test(repair 300 long BESIDE)
    ord_cluster_test(faulty_primary 300 long)
    ord_cluster_test(faulty_order 300 long)
    ord_cluster_test(faulty_backup 300 long BESIDE)
    ord_cluster_test(faulty_view 200 long BESIDE)
    ord_cluster_test(faulty_source 300 long)
    ord_cluster_test(faulty_state 300 long BESIDE)
    ord_cluster_test(faulty_speed 400 long)

    ord_cluster_test(raft_normal 180 BESIDE RAFT normal)
    ord_cluster_test(raft_crash 300 long BESIDE)
    ord_cluster_test(raft_kill_all 300 long BESIDE RAFT kill_all)
    ord_cluster_test(raft_power_cut 300 long BESIDE RAFT power_cut)
    ord_cluster_test(raft_leader 300 long)
    ord_cluster_test(raft_snapshot 200 BESIDE)
    ord_cluster_test(raft_liars 180 BESIDE)
    ord_cluster_test(raft_power 300 long rare BESIDE)
    ord_cluster_test(raft_pause 200 long rare BESIDE)
    ord_cluster_test(raft_stall 200 long rare)
    ord_cluster_test(raft_cut 300 long rare RAFT cut)
    ord_cluster_test(raft_disk_full 180 BESIDE RAFT disk_full)
    ord_cluster_test(raft_disk_error 240 long rare BESIDE RAFT disk_error)
    ord_cluster_test(raft_old_image 300 long rare BESIDE RAFT old_image)

    # Each stranger costs ten times as much under a sanitizer.
    if(ORD_ASAN OR ORD_TSAN)
        set_property(TEST cluster.strangers APPEND PROPERTY ENVIRONMENT "STRANGERS=1000")
    endif()

    # A client that does what the shell cannot do. It is a program of the tests and is not installed.
    add_executable(hostile cluster/hostile.c cluster/hostile_envelopes.c cluster/hostile_identities.c
                           cluster/hostile_links.c cluster/hostile_requests.c)
    target_link_libraries(hostile PRIVATE ord_options ord_client ord_net ord_channel ord_crypto ord_core ord_proto)
    set_property(TEST cluster.hostile APPEND PROPERTY ENVIRONMENT "HOSTILE_BIN=$<TARGET_FILE:hostile>")

    # A member on the path who poses as replicas.
    add_executable(impostor cluster/impostor.c)
    target_link_libraries(impostor PRIVATE ord_options ord_node ord_net ord_channel ord_crypto ord_core)
    set_property(TEST cluster.impostor APPEND PROPERTY ENVIRONMENT "IMPOSTOR_BIN=$<TARGET_FILE:impostor>")

    # A client that asks and never reads.
    add_executable(reader cluster/reader.c)
    target_link_libraries(reader PRIVATE ord_options ord_client ord_net ord_channel ord_crypto ord_core ord_proto)
    set_property(TEST cluster.memory APPEND PROPERTY ENVIRONMENT "READER_BIN=$<TARGET_FILE:reader>")

    set_property(TEST cluster.disk_error cluster.raft_disk_error cluster.raft_stall cluster.state_transfer
                 APPEND PROPERTY ENVIRONMENT "IO_FAULT_LIB=$<TARGET_FILE:io_fault>")
    set_property(TEST cluster.power_cut cluster.raft_power_cut cluster.raft_power
                 APPEND PROPERTY ENVIRONMENT "POWER_CUT_LIB=$<TARGET_FILE:power_cut>")

    # A replica that contradicts itself, with the keys of one that does not run.
    add_executable(liar cluster/liar.c)
    target_link_libraries(liar PRIVATE ord_options ord_node ord_net ord_bft ord_channel ord_crypto ord_core)
    set_property(TEST cluster.evidence cluster.no_memory APPEND PROPERTY ENVIRONMENT "LIAR_BIN=$<TARGET_FILE:liar>")
    set_property(TEST cluster.no_memory APPEND PROPERTY ENVIRONMENT "ALLOC_FAULT_LIB=$<TARGET_FILE:alloc_fault>")
endif()
