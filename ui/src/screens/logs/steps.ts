// What an explanation says, in the order in which it happened.
import type { ChatTrace } from '../../api/chat';
import type { Attempt, PassedBy } from '../../api/types';

// The accounts of one target: those that were not asked, then those that were.
export interface TargetSteps {
    target: number;
    passed: PassedBy[];
    attempts: Attempt[];
}

// An account that was asked and failed is passed by when the next one is chosen: that is no news.
function isNews(one: PassedBy, at: number, all: PassedBy[], attempts: Attempt[]): boolean {
    const isAsked = attempts.some(({ account }) => account === one.account);
    return !isAsked && all.findIndex(({ account }) => account === one.account) === at;
}

export function targetsOf({ attempts = [], passed_by: passed = [] }: ChatTrace): TargetSteps[] {
    const targets = [...new Set([...attempts, ...passed].map(({ target }) => target))];
    return targets
        .sort((a, b) => a - b)
        .map((target) => {
            const asked = attempts.filter((one) => one.target === target);
            const others = passed.filter((one) => one.target === target);
            return {
                target,
                attempts: asked,
                passed: others.filter((one, at) => isNews(one, at, others, asked)),
            };
        });
}
