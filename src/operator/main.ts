/** `npm run operator`: the lock server and the controllers of a Kubernetes cluster. */
import { readEnvironment } from '../system/environment.ts';
import { run } from './run.ts';

await run(readEnvironment());
