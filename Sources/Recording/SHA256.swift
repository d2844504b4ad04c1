#if canImport(CryptoKit)
    import CryptoKit
#else
    import Libcrypto
#endif

/// SHA-256 of bytes that come in parts (FIPS 180-4), by the system's library: OpenSSL's libcrypto, or Apple's CryptoKit.
package final class SHA256 {
    #if canImport(CryptoKit)
        private var hasher = CryptoKit.SHA256()
    #else
        private let context: OpaquePointer

        deinit { EVP_MD_CTX_free(context) }
    #endif

    package init() {
        #if !canImport(CryptoKit)
            // The machine's configuration of OpenSSL may ask for modules that are not there; a hash needs none.
            OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_LOAD_CONFIG), nil)
            guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
                fatalError("libcrypto has no SHA-256, or there is no memory for it")
            }
            self.context = context
        #endif
    }

    package func update(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { bytes in
            #if canImport(CryptoKit)
                hasher.update(bufferPointer: bytes)
            #else
                let done = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
                precondition(done == 1, "libcrypto refused \(bytes.count) bytes")
            #endif
        }
    }

    /// The digest in lower-case hexadecimal; the object takes no more bytes after it.
    package func hexDigest() -> String {
        #if canImport(CryptoKit)
            let digest = Array(hasher.finalize())
        #else
            var digest = [UInt8](repeating: 0, count: 32)
            let done = EVP_DigestFinal_ex(context, &digest, nil)
            precondition(done == 1, "a digest is made once")
        #endif
        return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
