import type { ContractCase } from '../contract-case.ts';
import { applyCases } from './apply.ts';
import { boundCases } from './bounds.ts';
import { deletionCases } from './deletion.ts';
import { discoveryCases } from './discovery.ts';
import { errorCases } from './errors.ts';
import { kubectlCases } from './kubectl.ts';
import { manifestCases } from './manifests.ts';
import { patchCases } from './patches.ts';
import { readingCases } from './reading.ts';
import { versionCases } from './versions.ts';
import { watchCases } from './watches.ts';

/** Every case of the contract, by subject. */
export const CASES: Readonly<Record<string, readonly ContractCase[]>> = {
  'compare and swap': versionCases,
  patches: patchCases,
  watches: watchCases,
  reading: readingCases,
  deletion: deletionCases,
  errors: errorCases,
  'server-side apply': applyCases,
  discovery: discoveryCases,
  bounds: boundCases,
  'the definitions of our kinds': manifestCases,
  kubectl: kubectlCases,
};
