/**
 * Goal: a process that talks to no API server does not load the client for one, which costs a second and 60 MB. Method: follows the
 * static imports of `npm start` from file to file; a dynamic import is not followed, since it is what defers the cost.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { ROOT } from '../../support/node-process.ts';

const IMPORT = /^(?:import|export) (?!type )(?:[^'"]*? from )?'([^']+)';/gm;

/** Every module that is loaded with `file`: paths of ours, names of packages. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, target = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)) {
    if (!target.startsWith('.')) seen.add(target);
    else loadedWith(resolve('/', dirname(file), target).slice(1), seen);
  }
  return seen;
}

const isClient = (module: string) =>
  module === 'undici' || module.startsWith('@kubernetes/') || module.startsWith('src/kube/cluster/');

it('npm start on its embedded API loads no part of the client', () => {
  const loaded = [...loadedWith('src/dev/main.ts')];
  expect(loaded).toEqual(expect.arrayContaining(['src/dev/embedded-place.ts', 'src/server/lock-server.ts', 'fastify']));
  expect(loaded.filter(isClient)).toEqual([]);
});

it('on a cluster it does, so that the look can fail', () => {
  const loaded = [...loadedWith('src/dev/cluster-place.ts')];
  expect(loaded.filter(isClient)).toEqual(expect.arrayContaining(['src/kube/cluster/cluster.ts', 'undici']));
});
