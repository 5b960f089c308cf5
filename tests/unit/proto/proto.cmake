ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/proto/test_unpack.c DEPENDS ord_unpack)
target_link_options(test_unpack PRIVATE -Wl,--wrap=malloc)
