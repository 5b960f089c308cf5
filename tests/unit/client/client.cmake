# The other side of the connection is tests/support/client_world.c: real servers, real blocks, and faults on demand.
set(client_world SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/client_world.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/client_world_answers.c
    ${CMAKE_CURRENT_SOURCE_DIR}/support/client_world_chain.c)
foreach(name config flow loop pace window wire)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/client/test_client_${name}.c DEPENDS ord_client)
endforeach()
foreach(name submit faults deliver evidence)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/client/test_client_${name}.c ${client_world} DEPENDS ord_client)
endforeach()
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/client/test_client_proof.c
              SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/support/channel_support.c DEPENDS ord_client)
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/client/test_client_cli.c
              SOURCES ${PROJECT_SOURCE_DIR}/cli/input.c ${PROJECT_SOURCE_DIR}/cli/report.c DEPENDS ord_core)

# The installed header must stand alone, in C99.
add_library(client_header OBJECT ${CMAKE_CURRENT_SOURCE_DIR}/support/client_header.c)
target_include_directories(client_header PRIVATE ${PROJECT_SOURCE_DIR}/client)
target_compile_options(client_header PRIVATE -Wall -Wextra -Wpedantic -Wc++-compat -Werror)
set_target_properties(client_header PROPERTIES C_STANDARD 99)

# Tests of the program itself. The replicas that its commands need are the same client_world.
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/cli/test_cli_commands.c ${client_world}
              ${CMAKE_CURRENT_SOURCE_DIR}/support/ledger_support.c DEPENDS ord_client ord_ledger)
target_compile_definitions(test_cli_commands PRIVATE ORDAIN_PROGRAM="$<TARGET_FILE:ordain>")
add_dependencies(test_cli_commands ordain)
