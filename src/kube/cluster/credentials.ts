/** How to reach an API server and who to be there: what a kubeconfig says, as it is at the moment. */

/** TLS settings of a connection; what is absent has the platform's default. */
export interface TlsSettings {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  readonly passphrase?: string | undefined;
  /** The name to expect in the server's certificate, where it is not the host of the URL. */
  readonly servername?: string | undefined;
  readonly rejectUnauthorized?: boolean | undefined;
}

/** What one request needs. */
export interface Access {
  /** Of every request: `authorization`, impersonation. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsSettings;
  /** Equal for equal `tls`: connections made under another one must not be used any more. */
  readonly tlsFingerprint: string;
}

export interface Credentials {
  /** URL of the API server, without a slash at its end. */
  readonly server: string;
  /** What to use for the next request. Rotated tokens and certificates show up here. Rejects with an Error that says what is wrong. */
  current(): Promise<Access>;
  /** The server refused them, or its certificate was not accepted: read everything anew before the next request. */
  refused(): void;
}
