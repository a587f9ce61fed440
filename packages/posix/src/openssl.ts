import { describeError, SystemError } from '@kith/base';
import koffi from 'koffi';
import { type HotMemory, hotMemory } from './hot-memory.ts';

/** Room for one of the two parameter names below with its NUL. */
const NAME_BYTES = 16;

/**
 * The part of libcrypto's EVP interface (OpenSSL 3) that sealing needs, as node itself has it loaded. Addresses are numbers.
 * All functions answer 1 for success unless their manual page says otherwise.
 */
export interface OpenSsl {
  readonly newContext: () => number;
  readonly freeContext: (context: number) => void;
  readonly fetchCipher: (library: number, name: string, properties: number) => number;
  readonly init: (
    context: number,
    cipher: number,
    key: number,
    iv: number,
    encrypt: number,
    params: number,
  ) => number;
  readonly control: (context: number, type: number, argument: number, pointer: number) => number;
  readonly setParams: (context: number, params: number) => number;
  /** EVP_Cipher: the number of bytes written, or -1. */
  readonly cipher: (context: number, output: number, input: number, length: number) => number;
  readonly clearErrors: () => void;
  /** Address of the C string OSSL_CIPHER_PARAM_AEAD_TLS1_AAD. */
  readonly tlsAadName: number;
  /** Address of the C string OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED. */
  readonly tlsIvName: number;
}

let loaded: OpenSsl | null = null;

/**
 * Looks the functions up on first use, so that a process that never seals does not need them. Throws SystemError
 * OPENSSL_MISSING when this node has no OpenSSL 3 whose symbols can be reached.
 */
export function openSsl(): OpenSsl {
  loaded ??= load();
  return loaded;
}

function load(): OpenSsl {
  try {
    const library = koffi.load(null);
    const names = hotMemory(2 * NAME_BYTES);
    return {
      newContext: library.func('EVP_CIPHER_CTX_new', 'uintptr_t', []),
      freeContext: library.func('EVP_CIPHER_CTX_free', 'void', ['uintptr_t']),
      fetchCipher: library.func('EVP_CIPHER_fetch', 'uintptr_t', ['uintptr_t', 'const char *', 'uintptr_t']),
      init: library.func('EVP_CipherInit_ex2', 'int', [
        'uintptr_t',
        'uintptr_t',
        'uintptr_t',
        'uintptr_t',
        'int',
        'uintptr_t',
      ]),
      control: library.func('EVP_CIPHER_CTX_ctrl', 'int', ['uintptr_t', 'int', 'int', 'uintptr_t']),
      setParams: library.func('EVP_CIPHER_CTX_set_params', 'int', ['uintptr_t', 'uintptr_t']),
      cipher: library.func('EVP_Cipher', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'uint']),
      clearErrors: library.func('ERR_clear_error', 'void', []),
      tlsAadName: cString(names, 0, 'tlsaad'),
      tlsIvName: cString(names, NAME_BYTES, 'tlsivfixed'),
    };
  } catch (cause) {
    throw new SystemError('OPENSSL_MISSING', `this node has no usable OpenSSL 3: ${describeError(cause)}`, {
      cause,
    });
  }
}

/** Puts an ASCII string into zeroed memory and returns its address. */
function cString(memory: HotMemory, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) memory.bytes[at + index] = text.charCodeAt(index);
  return memory.address + at;
}
