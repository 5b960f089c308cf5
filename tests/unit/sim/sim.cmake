# The simulator. Sanitizers make it about ten times slower, so they get fewer runs.
set(sim_fixed 160)
set(sim_raft 120)
set(sim_fresh 70)
set(sim_slow 40)
set(sim_crowded 4)
set(sim_service 24)
set(sim_raft_service 12)
set(sim_rotation 2)
set(sim_pace 4)
set(sim_search 10)
if(ORD_ASAN OR ORD_TSAN OR ORD_COVERAGE)
    set(sim_fixed 20)
    set(sim_raft 15)
    set(sim_fresh 10)
    set(sim_slow 10)
    set(sim_crowded 1)
    set(sim_service 3)
    set(sim_raft_service 2)
    set(sim_rotation 1)
    set(sim_pace 1)
    set(sim_search 8)
endif()
# The fixed seeds must meet the marks that are met often (core/mark.h). Otherwise they test less than before.
set(sim_marks "")
if(ORD_MARKS AND sim_fixed EQUAL 160)
    set(sim_marks --marks-required often)
endif()
add_test(NAME sim.fixed COMMAND ordain-sim --consensus pbft --seed 1 --runs ${sim_fixed} ${sim_marks})
add_test(NAME sim.raft COMMAND ordain-sim --consensus raft --seed 1 --runs ${sim_raft} ${sim_marks})
# It prints its first seed, and each violation with the command that replays it.
add_test(NAME sim.fresh COMMAND ordain-sim --runs ${sim_fresh})
add_test(NAME sim.deterministic
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_deterministic.sh $<TARGET_FILE:ordain-sim>)
add_test(NAME sim.slow
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_slow.sh $<TARGET_FILE:ordain-sim> ${sim_slow})
add_test(NAME sim.crowded
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_crowded.sh $<TARGET_FILE:ordain-sim> ${sim_crowded})
add_test(NAME sim.service COMMAND ordain-sim --consensus pbft --service --seed 1 --runs ${sim_service})
add_test(NAME sim.raft_service COMMAND ordain-sim --consensus raft --service --seed 1 --runs ${sim_raft_service})
add_test(NAME sim.rotation
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_rotation.sh $<TARGET_FILE:ordain-sim> ${sim_rotation})
add_test(NAME sim.pace
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_pace.sh $<TARGET_FILE:ordain-sim> ${sim_pace})
add_test(NAME sim.search
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_search.sh $<TARGET_FILE:ordain-sim> ${sim_search})
add_test(NAME sim.late
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/sim_late.sh $<TARGET_FILE:ordain-sim>)
set_tests_properties(sim.fixed sim.raft sim.raft_service sim.fresh sim.deterministic sim.slow sim.crowded sim.rotation
                     sim.pace sim.service sim.late sim.search
                     PROPERTIES LABELS sim TIMEOUT 300 ENVIRONMENT "${ORD_TEST_ENVIRONMENT}")
# These compare the simulated time of two runs. To the sanitizers their code is that of the others.
set_tests_properties(sim.slow sim.crowded sim.rotation sim.pace sim.late sim.search PROPERTIES LABELS "sim;measures")

# Some of the planted bugs, each of which another invariant finds within a second. By hand, tests/canary/run runs them
# all.
if(NOT (ORD_ASAN OR ORD_TSAN OR ORD_COVERAGE OR ORD_FUZZ))
    add_test(NAME sim.canaries
             COMMAND ${PROJECT_SOURCE_DIR}/tests/canary/run --seconds 120 commit-few view-not-kept digest-without-window
                                       receipt-path-not-checked durable-during-commit sent-not-spread
                                       evidence-dropped tail-size-wrong raft-vote-not-kept raft-old-term-counted)
    set_tests_properties(sim.canaries PROPERTIES LABELS sim TIMEOUT 600)
endif()

ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/sim/test_sim_genome.c DEPENDS ord_sim)
