/** Ports for the programs of a control plane. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const lowestPort = 20_000;

/**
 * A free TCP port of 127.0.0.1 that the kernel never gives to an outgoing connection. With one of those, a client that
 * dials while the server is down can be connected to itself, and then holds the port against the server.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = lowestPort + Math.floor(Math.random() * (lowestOutgoingPort() - lowestPort));
    if (await isFree(port)) return port;
  }
  throw new Error(`100 ports from ${lowestPort} on are all taken.`);
}

function lowestOutgoingPort(): number {
  try {
    const lowest = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
    if (lowest > lowestPort + 1_000) return lowest;
  } catch {
    // Not Linux.
  }
  return 32_768;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
