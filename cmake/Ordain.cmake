# Compiler settings, libraries, and the functions of this build: ord_library,
# ord_program, ord_unit_test, ord_fuzz_target.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(ORD_ASAN "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(ORD_TSAN "ThreadSanitizer" OFF)
option(ORD_COVERAGE "gcov instrumentation" OFF)
option(ORD_FUZZ "libFuzzer targets (clang)" OFF)
option(ORD_SLOW_ASSERTS "assertions that cost more than what they guard" OFF)
option(ORD_MARKS "coverage marks are counted (core/mark.h)" OFF)

set(ORD_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum
                 -Wvla -Wundef -Werror)

add_library(ord_options INTERFACE)
target_compile_options(ord_options INTERFACE ${ORD_WARNINGS} -fno-omit-frame-pointer)
target_compile_definitions(ord_options INTERFACE _GNU_SOURCE ORD_VERSION="${PROJECT_VERSION}")
target_include_directories(ord_options INTERFACE ${PROJECT_SOURCE_DIR})
if(ORD_SLOW_ASSERTS)
    target_compile_definitions(ord_options INTERFACE ORD_SLOW_ASSERTS)
endif()
if(ORD_MARKS)
    target_compile_definitions(ord_options INTERFACE ORD_MARKS)
endif()
if(ORD_ASAN)
    target_compile_options(ord_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all)
    target_link_options(ord_options INTERFACE -fsanitize=address,undefined)
endif()
if(ORD_TSAN)
    target_compile_options(ord_options INTERFACE -fsanitize=thread)
    target_link_options(ord_options INTERFACE -fsanitize=thread)
endif()
if(ORD_COVERAGE)
    target_compile_options(ord_options INTERFACE --coverage)
    target_link_options(ord_options INTERFACE --coverage)
endif()
if(ORD_FUZZ)
    target_compile_options(ord_options INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                                                 -fno-sanitize-recover=all)
    target_link_options(ord_options INTERFACE -fsanitize=address,undefined)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(SECP256K1 REQUIRED IMPORTED_TARGET libsecp256k1)
pkg_check_modules(LIBCONFIG REQUIRED IMPORTED_TARGET libconfig)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
find_library(LMDB_LIBRARY lmdb REQUIRED)
find_library(NNG_LIBRARY nng REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)

# The environment of every test. libnng is not instrumented; tests/support/tsan.supp lists the reports about it that
# ThreadSanitizer ignores.
set(ORD_TEST_ENVIRONMENT "")
if(ORD_TSAN)
    set(ORD_TEST_ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp")
endif()

# ord_library(NAME SOURCES ... DEPENDS ...): makes the static library libord_NAME.a of this folder.
function(ord_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
    add_library(ord_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(ord_${name} PUBLIC ord_options ${ARG_DEPENDS})
endfunction()

# ord_program(NAME SOURCES ... DEPENDS ...): makes the program bin/NAME.
function(ord_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ord_options ${ARG_DEPENDS})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
endfunction()

# ord_unit_test(FILE [LABEL label] [TIMEOUT seconds] [SOURCES ...] [DEPENDS ...]): builds tests/.../test_x.c with
# tests/support/test_main.c. Every function `static void subject__behaviour(void
# **state)` in it becomes a ctest of its own.
function(ord_unit_test file)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
    if(NOT ARG_LABEL)
        set(ARG_LABEL unit)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    get_filename_component(name ${file} NAME_WE)
    add_executable(${name} ${file} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/test_main.c)
    target_link_libraries(${name} PRIVATE ord_options PkgConfig::CMOCKA ${ARG_DEPENDS})
    file(STRINGS ${file} cases REGEX "^static void [a-z0-9_]+__[a-z0-9_]+\\(void \\*\\*state\\)")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    foreach(line IN LISTS cases)
        string(REGEX REPLACE "^static void ([a-z0-9_]+)\\(.*" "\\1" case "${line}")
        add_test(NAME ${name}.${case} COMMAND ${name} ${case})
        set_tests_properties(${name}.${case} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
                             ENVIRONMENT "${ORD_TEST_ENVIRONMENT}")
    endforeach()
endfunction()

# ord_fuzz_target(FILE DEPENDS ...): makes a libFuzzer program in the fuzz preset. In other presets makes a program that
# replays the files given as arguments, or a number of generated inputs (tests/support/fuzz_main.c).
function(ord_fuzz_target file)
    cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    if(ORD_FUZZ)
        add_executable(${name} ${file})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${name} ${file} ${PROJECT_SOURCE_DIR}/tests/support/fuzz_main.c)
    endif()
    target_link_libraries(${name} PRIVATE ord_options ${ARG_DEPENDS})
    set_property(GLOBAL APPEND PROPERTY ORD_FUZZ_TARGETS ${name})
endfunction()
