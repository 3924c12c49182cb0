// The models that can be asked for now.
import { computed, signal } from '@preact/signals';
import { get } from '../../api/client';
import type { Provider } from '../../api/types';
import { present, providers } from '../../live/store';
import { options } from './options';

export interface ModelGroup {
    name: string; // of the provider; empty: the gateway's own names
    models: string[];
}

// Names of models.lua that somebody serves.
const mapped = signal<string[]>([]);

// What services list, by provider. Those that take any name do not name their models by themselves.
const listed = signal<Record<string, string[]>>({});

const askedFor = new Set<string>(); // accounts

export async function loadNames(): Promise<void> {
    try {
        mapped.value = (await get<{ names: string[] }>('/providers')).names;
    } catch {
        // Those of the providers are there, and any name may be typed.
    }
}

async function loadListed(provider: string, account: string): Promise<void> {
    askedFor.add(account);
    try {
        const path = `/accounts/${encodeURIComponent(account)}/models`;
        const { models } = await get<{ models: string[] }>(path);
        listed.value = { ...listed.value, [provider]: models };
    } catch {
        // The service has no list, or does not give it to this account.
    }
}

// Asks the services for what the gateway does not know, once for each account.
export function loadMissing(): void {
    for (const { name, models } of providers.value ?? []) {
        const mine = present.value?.find((one) => one.provider === name && one.state === 'serving');
        if (models.length === 0 && !(name in listed.value) && mine && !askedFor.has(mine.id)) {
            void loadListed(name, mine.id);
        }
    }
}

const isBuiltIn = (one: Provider) => one.plugin === 'echo';

// A bare name goes to whoever names it, or else to the first who takes any: others want the provider
// in front of it.
function namesOf(provider: Provider, all: Provider[]): string[] {
    if (provider.models.length > 0) {
        return provider.models;
    }
    const named = new Set(all.flatMap((one) => one.models));
    const isFirst = all.find((one) => one.models.length === 0) === provider;
    const models = listed.value[provider.name] ?? [];
    return models.map((one) => (isFirst && !named.has(one) ? one : `${provider.name}/${one}`));
}

// The built-in provider that answers without a network comes last.
export const groups = computed((): ModelGroup[] => {
    const usable = (providers.value ?? []).filter((one) => one.accounts > 0);
    const own = new Set(mapped.value);
    const groupOf = (one: Provider): ModelGroup => ({
        name: one.name,
        models: namesOf(one, usable).filter((name) => !own.has(name)),
    });
    return [
        ...usable.filter((one) => !isBuiltIn(one)).map(groupOf),
        { name: '', models: mapped.value },
        ...usable.filter(isBuiltIn).map(groupOf),
    ].filter(({ models }) => models.length > 0);
});

// Empty: none is chosen, and none is known.
export const model = computed((): string => {
    const { model: chosen, isTyped } = options.value;
    return chosen !== '' || isTyped ? chosen : (groups.value[0]?.models[0] ?? '');
});

export const isNothingServed = computed(() => providers.value !== null && groups.value.length === 0);
