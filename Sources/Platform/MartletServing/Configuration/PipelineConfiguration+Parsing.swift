// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension PipelineConfiguration {
    /// Reads stages as config.pbtxt's `parameters` write them: names and settings, comma-joined.
    ///
    ///     decode_image
    ///     resize:CROP[:SHORTER_SIDE]          resize:224:256
    ///     normalize:PRESET[:LAYOUT]           imagenet, unit, signed, none; nchw or nhwc
    ///     normalize:M/M/M:S/S/S[:LAYOUT]      per channel, of values scaled to 0…1
    ///     tokenize:TOKENIZER_FILE[:LENGTH]
    ///     softmax
    ///     top_k:COUNT[:LABEL_FILE]
    ///     pool:mean|cls[:normalize]
    /// - Throws: `ServingError.invalidArgument` naming the stage.
    package static func stages(parsing text: String) throws(ServingError) -> [Stage] {
        try text.split(separator: ",").map { part throws(ServingError) in
            let words = part.split(separator: ":", omittingEmptySubsequences: false).map { word in
                String(word.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            return try stage(words[0], Array(words.dropFirst()))
        }
    }

    private static func stage(_ name: String, _ settings: [String]) throws(ServingError) -> Stage {
        switch (name, settings.count) {
        case ("decode_image", 0): return .decodeImage
        case ("softmax", 0): return .softmax
        case ("resize", 1), ("resize", 2):
            let crop = try number(settings[0], of: name, max: 16_384)
            let side = settings.count == 2 ? try number(settings[1], of: name, max: 16_384) : crop
            guard side >= crop else {
                throw wrong(name, "the shorter side \(side) is below the crop \(crop)")
            }
            return .resize(shorterSide: side, crop: crop)
        case ("normalize", 1...3): return try normalize(settings)
        case ("tokenize", 1), ("tokenize", 2):
            let length = settings.count == 2 ? try number(settings[1], of: name, max: 65_536) : 512
            return .tokenize(tokenizerPath: settings[0], lengthMax: length)
        case ("top_k", 1), ("top_k", 2):
            return .topK(
                count: try number(settings[0], of: name, max: 100_000),
                labelsPath: settings.count == 2 ? settings[1] : nil)
        case ("pool", 1), ("pool", 2):
            guard let pooling = Pooling(rawValue: settings[0]),
                settings.count == 1 || settings[1] == "normalize"
            else { throw wrong(name, "expected pool:mean or pool:cls, then :normalize or nothing") }
            return .pool(pooling, normalizes: settings.count == 2)
        default:
            throw wrong(name, "unknown, or with the wrong number of settings (\(settings.count))")
        }
    }

    private static func normalize(_ settings: [String]) throws(ServingError) -> Stage {
        var settings = settings
        var layout = Layout.channelsFirst
        if let last = settings.last, let named = Layout(rawValue: last) {
            layout = named
            settings.removeLast()
        }
        if settings.count == 1 {
            switch settings[0] {
            case "imagenet":
                return .normalize(
                    mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225],
                    scale: 1 / 255, layout: layout)
            case "unit":
                return .normalize(mean: [0], deviation: [1], scale: 1 / 255, layout: layout)
            case "signed":
                return .normalize(mean: [1], deviation: [1], scale: 1 / 127.5, layout: layout)
            case "none":
                return .normalize(mean: [0], deviation: [1], scale: 1, layout: layout)
            default: throw wrong("normalize", "there is no preset '\(settings[0])'")
            }
        }
        guard settings.count == 2 else { throw wrong("normalize", "expected means and deviations") }
        let mean = settings[0].split(separator: "/").compactMap { Float($0) }
        let deviation = settings[1].split(separator: "/").compactMap { Float($0) }
        let isComplete =
            [1, 3].contains(mean.count) && mean.count == deviation.count
            && settings[0].split(separator: "/").count == mean.count
            && settings[1].split(separator: "/").count == mean.count
        guard isComplete, deviation.allSatisfy({ $0 > 0 }) else {
            throw wrong("normalize", "expected one or three means and as many deviations above 0")
        }
        return .normalize(mean: mean, deviation: deviation, scale: 1 / 255, layout: layout)
    }

    private static func number(
        _ text: String, of stage: String, max: Int
    ) throws(ServingError) -> Int {
        guard let number = Int(text), number >= 1, number <= max else {
            throw wrong(stage, "'\(text)' is not a number from 1 to \(max)")
        }
        return number
    }

    private static func wrong(_ stage: String, _ message: String) -> ServingError {
        ServingError(.invalidArgument, "stage '\(stage)': \(message)")
    }
}
