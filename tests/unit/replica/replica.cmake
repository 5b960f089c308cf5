foreach(name pool records shares)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/replica/test_replica_${name}.c DEPENDS ord_replica)
endforeach()
