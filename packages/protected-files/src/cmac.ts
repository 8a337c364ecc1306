import { createCipheriv } from "node:crypto";

const BLOCK_BYTES = 16;

/**
 * AES-128-CMAC (RFC 4493) of `message` under a 16-byte key; 16 bytes. Node has no CMAC, but CMAC is CBC-MAC whose last block
 * is masked with a sub-key, so one AES-128-CBC pass with a zero IV over the masked message ends in the tag.
 */
export function aesCmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const whole = message.length > 0 && message.length % BLOCK_BYTES === 0;
  const blocks = whole ? message.length / BLOCK_BYTES : Math.floor(message.length / BLOCK_BYTES) + 1;
  const masked = new Uint8Array(blocks * BLOCK_BYTES);
  masked.set(message);
  if (!whole) masked[message.length] = 0x80;
  const k1 = doubled(encryptBlock(key, new Uint8Array(BLOCK_BYTES)));
  const mask = whole ? k1 : doubled(k1);
  const last = masked.length - BLOCK_BYTES;
  for (const [index, byte] of mask.entries()) masked[last + index] = (masked[last + index] ?? 0) ^ byte;
  return encryptCbc(key, masked).slice(last);
}

/** Multiplication by x in GF(2^128) with the polynomial of RFC 4493, section 2.3. */
function doubled(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK_BYTES);
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    out[index] = (((block[index] ?? 0) << 1) | ((block[index + 1] ?? 0) >> 7)) & 0xff;
  }
  if ((block[0] ?? 0) & 0x80) out[BLOCK_BYTES - 1] = (out[BLOCK_BYTES - 1] ?? 0) ^ 0x87;
  return out;
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return encryptCbc(key, block);
}

function encryptCbc(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-cbc", key, new Uint8Array(BLOCK_BYTES)).setAutoPadding(false);
  return new Uint8Array(cipher.update(bytes));
}
