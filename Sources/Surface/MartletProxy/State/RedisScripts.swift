// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

internal import MartletBase
internal import MartletGateway
internal import MartletResilience

/// What Redis computes for us, whole and one at a time: that makes limits exact across replicas.
///
/// A limit's state is a hash: the levels of its two buckets (`rl`, `tl`; in tokens times the
/// interval, so that refilling is exact in whole numbers), when they were last filled (`ra`, `ta`),
/// and how many requests each replica has in flight (`c:REPLICA`). Time is Redis's own. A replica
/// that has not been heard of for ten seconds counts for nothing.
enum RedisScripts {
    private static let prelude = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        local function refill(key, level, at, rate, interval, burst, unit)
          local t = math.floor(now / unit)
          local known = redis.call('HMGET', key, level, at)
          local cap = burst * interval
          if not known[1] or not known[2] then return cap, t end
          local l, a = tonumber(known[1]), tonumber(known[2])
          if t > a then l = math.min(cap, l + (t - a) * rate) else t = a end
          return l, t
        end
        local function whole(x) return string.format('%.0f', x) end
        """

    /// KEYS: the replicas, then a limit each. ARGV: replica, deadline of replicas, then for each
    /// limit: rate, interval, burst, unit of requests and of tokens (rate -1: none), most in flight
    /// (-1: any number), tokens wanted. Answers {1}, or {0, limit, kind, µs to wait or -1}.
    static let admit =
        prelude + """

            local me, dead = ARGV[1], now - ARGV[2]
            local new = {}
            for i = 2, #KEYS do
              local a = 3 + (i - 2) * 10
              local key = KEYS[i]
              local n = {}
              for j = 0, 9 do n[j] = tonumber(ARGV[a + j]) end
              if n[8] >= 0 then
                local count = 0
                local all = redis.call('HGETALL', key)
                for f = 1, #all, 2 do
                  if string.sub(all[f], 1, 2) == 'c:' then
                    local who = string.match(all[f], '^c:([^/]*)')
                    local seen = redis.call('ZSCORE', KEYS[1], who)
                    if all[f] == 'c:' .. me or (seen and tonumber(seen) >= dead) then
                      count = count + tonumber(all[f + 1])
                    else
                      redis.call('HDEL', key, all[f])
                    end
                  end
                end
                if count >= n[8] then return {0, i - 1, 'concurrency', 1000000} end
              end
              local s = {}
              if n[0] >= 0 then
                s.rl, s.ra = refill(key, 'rl', 'ra', n[0], n[1], n[2], n[3])
                if s.rl < n[1] then
                  if n[2] < 1 or n[0] == 0 then return {0, i - 1, 'requests', -1} end
                  return {0, i - 1, 'requests', math.ceil((n[1] - s.rl) / n[0]) * n[3]}
                end
                s.rl = s.rl - n[1]
              end
              if n[4] >= 0 then
                s.tl, s.ta = refill(key, 'tl', 'ta', n[4], n[5], n[6], n[7])
                local cost = n[9] * n[5]
                if s.tl < cost then
                  if n[9] > n[6] or n[4] == 0 then return {0, i - 1, 'tokens', -1} end
                  return {0, i - 1, 'tokens', math.ceil((cost - s.tl) / n[4]) * n[7]}
                end
                s.tl = s.tl - cost
              end
              new[i] = s
            end
            for i = 2, #KEYS do
              local s, key = new[i], KEYS[i]
              if s.rl then redis.call('HSET', key, 'rl', whole(s.rl), 'ra', whole(s.ra)) end
              if s.tl then redis.call('HSET', key, 'tl', whole(s.tl), 'ta', whole(s.ta)) end
              redis.call('HINCRBY', key, 'c:' .. me, 1)
              redis.call('PEXPIRE', key, 86400000)
            end
            return {1}
            """

    /// KEYS: a limit each. ARGV: replica, then for each limit: the two buckets as above, requests
    /// and tokens to give back (below zero: to charge), what to add to the requests in flight, and
    /// what to set them to first (-1: nothing).
    static let settle =
        prelude + """

            local me = ARGV[1]
            for i = 1, #KEYS do
              local a = 2 + (i - 1) * 12
              local key = KEYS[i]
              local n = {}
              for j = 0, 11 do n[j] = tonumber(ARGV[a + j]) end
              if n[0] >= 0 and n[8] ~= 0 then
                local l, t = refill(key, 'rl', 'ra', n[0], n[1], n[2], n[3])
                l = math.min(n[2] * n[1], l + n[8] * n[1])
                redis.call('HSET', key, 'rl', whole(l), 'ra', whole(t))
              end
              if n[4] >= 0 and n[9] ~= 0 then
                local l, t = refill(key, 'tl', 'ta', n[4], n[5], n[6], n[7])
                l = math.min(n[6] * n[5], l + n[9] * n[5])
                redis.call('HSET', key, 'tl', whole(l), 'ta', whole(t))
              end
              if n[11] >= 0 then redis.call('HSET', key, 'c:' .. me, n[11]) end
              if n[10] ~= 0 then
                if redis.call('HINCRBY', key, 'c:' .. me, n[10]) <= 0 then
                  redis.call('HDEL', key, 'c:' .. me)
                end
              end
              redis.call('PEXPIRE', key, 86400000)
            end
            return 1
            """

    /// KEYS: the replicas. ARGV: process, µs after which one is dead. Answers how many there are.
    static let heartbeat = """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2]))
        redis.call('PEXPIRE', KEYS[1], 86400000)
        return redis.call('ZCARD', KEYS[1])
        """

    /// What is spent is never less than a replica knows: a Redis that lost its data learns it.
    private static let spending = """
        local function spent(key, known, kept)
          local now = redis.call('HGET', key, 'spent') or '0'
          if tonumber(now) >= tonumber(known) then return now end
          redis.call('HSET', key, 'spent', known)
          redis.call('EXPIRE', key, kept)
          return known
        end
        """

    /// KEYS: a budget. ARGV: replica, number of the batch, cost, what is known to be spent, seconds
    /// to keep it. Adds a batch once, however often it comes. Answers what is spent, as text: Lua's
    /// numbers are not exact.
    static let charge =
        spending + """

            spent(KEYS[1], ARGV[4], ARGV[5])
            local last = tonumber(redis.call('HGET', KEYS[1], 's:' .. ARGV[1]) or '0')
            if tonumber(ARGV[2]) > last then
              local done = redis.pcall('HINCRBY', KEYS[1], 'spent', ARGV[3])
              if type(done) == 'table' and done.err then
                redis.call('HSET', KEYS[1], 'spent', '9223372036854775807')
              end
              redis.call('HSET', KEYS[1], 's:' .. ARGV[1], ARGV[2])
            end
            redis.call('EXPIRE', KEYS[1], ARGV[5])
            return redis.call('HGET', KEYS[1], 'spent') or '0'
            """

    /// KEYS: budgets. ARGV: of each what is known to be spent, and seconds to keep it. Answers what
    /// is spent of each, as text.
    static let spent =
        spending + """

            local all = {}
            for i = 1, #KEYS do all[i] = spent(KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
            return all
            """

    static let deadAfterMicroseconds = 10_000_000

    /// A bucket's rate, interval, burst and unit. The unit of time is the finest in which a full
    /// bucket is still a whole number that Lua's doubles hold exactly.
    static func bucket(_ rate: LimitPolicy.Rate?) -> [Int64] {
        guard let rate else { return [-1, 0, 0, 1] }
        let microseconds = max(rate.rate.interval.nanosecondsSaturating / 1_000, 1)
        var unit: Int64 = 1
        while true {
            let (full, overflow) = max(microseconds / unit, 1).multipliedReportingOverflow(
                by: Int64(rate.burst))
            if (!overflow && full < 1 << 50) || unit > microseconds { break }
            unit *= 10
        }
        return [
            Int64(rate.rate.tokens), max(microseconds / unit, 1), Int64(rate.burst), unit,
        ]
    }
}
