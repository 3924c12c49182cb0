// 中文。键与 en.ts 相同。
import type { Key, Text } from './index';
import { base } from './zh/base';
import { playground } from './zh/playground';
import { scripts } from './zh/scripts';
import { tries } from './zh/tries';

export const zh: Record<Key, Text> = { ...base, ...scripts, ...playground, ...tries };
