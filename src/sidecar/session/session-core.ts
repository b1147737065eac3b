import type { Clock, ProgressMeter } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import type { Timers } from '../../system/timers.ts';
import type { EndedTokens } from './ended-tokens.ts';
import type { HoldTable } from './hold-table.ts';
import type { OwnerLanes } from './owner-lanes.ts';
import type { SessionClient } from './session-client.ts';

/** What every request of a session works with. */
export interface SessionCore {
  readonly clock: Clock;
  readonly meter: ProgressMeter;
  readonly timers: Timers;
  readonly random: Random;
  readonly client: SessionClient;
  readonly table: HoldTable;
  readonly lanes: OwnerLanes;
  readonly endedTokens: EndedTokens;
}
