foreach(name hash sign x509 x509_forged x509_memory link pool)
    ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/crypto/test_crypto_${name}.c DEPENDS ord_crypto)
endforeach()

# mbedTLS, another implementation of TLS, must accept the certificates that crypto/ makes. libnng-dev depends on it.
find_library(MBEDX509_LIBRARY mbedx509 REQUIRED)
find_library(MBEDCRYPTO_LIBRARY mbedcrypto REQUIRED)
ord_unit_test(${CMAKE_CURRENT_SOURCE_DIR}/unit/crypto/test_crypto_mbedtls.c
              DEPENDS ord_crypto ${MBEDX509_LIBRARY} ${MBEDCRYPTO_LIBRARY})
