/** `npm start`: locks on this machine, the operator and the sidecar in one process. */
import { readEnvironment } from '../system/environment.ts';
import { run } from './run.ts';

await run(readEnvironment());
