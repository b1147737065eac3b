/** The certificates and keys of one control plane. Everything is P-256, and valid for ten years. */
// It must be there before the certificates' library is loaded.
// oxlint-disable-next-line import/no-unassigned-import
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const yearMs = 365 * 24 * 60 * 60 * 1_000;

/** A certificate and its private key as PEM text. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

/** Who a client certificate says its bearer is: the API server takes the names as user and groups. */
export interface Identity {
  readonly user: string;
  readonly groups?: readonly string[];
}

export async function createAuthority(): Promise<Credential> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: [{ CN: ['lockkeeper-test'] }],
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.digitalSignature, true),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await privatePem(keys) };
}

/** For a server on this machine: 127.0.0.1, ::1 and localhost. */
export function createServing(authority: Credential): Promise<Credential> {
  return issue(
    authority,
    [{ CN: ['localhost'] }],
    [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
        { type: 'dns', value: 'localhost' },
      ]),
    ],
  );
}

export function createClient(authority: Credential, { user, groups = [] }: Identity): Promise<Credential> {
  const name = [...groups.map((group) => ({ O: [group] })), { CN: [user] }];
  return issue(authority, name, [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])]);
}

/** The pair that signs and checks the tokens of service accounts. */
export async function createSigningKeys(): Promise<{ readonly publicKey: string; readonly privateKey: string }> {
  const keys = await newKeys();
  const der = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { publicKey: PemConverter.encode(der, 'PUBLIC KEY'), privateKey: await privatePem(keys) };
}

async function issue(authority: Credential, name: JsonName, extensions: readonly Extension[]): Promise<Credential> {
  const keys = await newKeys();
  const issuer = new X509Certificate(authority.certificate);
  const certificate = await X509CertificateGenerator.create({
    ...validity(),
    subject: name,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(authority.key), algorithm, false, [
      'sign',
    ]),
    signingAlgorithm: algorithm,
    extensions: [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true), ...extensions],
  });
  return { certificate: certificate.toString('pem'), key: await privatePem(keys) };
}

/** From an hour ago, so that clocks which differ a little accept it. */
function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 10 * yearMs) };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function privatePem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
}
