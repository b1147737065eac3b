/** After the last test: the control plane of this Jest run ends. */
import { endRun } from './support.ts';

/** Jest calls the default exports of the files that its configuration names. */
// oxlint-disable-next-line import/no-default-export
export default async function globalTeardown(): Promise<void> {
  await endRun();
}
