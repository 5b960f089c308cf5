set(cli ${PROJECT_SOURCE_DIR}/cli)
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/cli/test_cli_number.c SOURCES ${cli}/number.c DEPENDS ord_core)
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/cli/test_cli_init.c
              SOURCES ${cli}/init_files.c ${cli}/init_ports.c ${cli}/init_texts.c
              DEPENDS ord_node ord_client ord_channel ord_crypto ord_core)
