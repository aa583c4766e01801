// Answers lines of questions, a line each, with what Kafka's own classes say:
//
//   request|response API VERSION HEX   what they write after they have read that
//   error CODE                         the name of an error code, and whether it is retriable
//   api KEY                            the name of an API
//   default CLASS                      a new object of a class, as text

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.MessageUtil;

public class Echo {
    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in));
        var output = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.println(answer(line.split(" ", -1)));
        }
        output.flush();
    }

    private static String answer(String[] words) throws Exception {
        switch (words[0]) {
            case "error":
                Errors error = Errors.forCode(Short.parseShort(words[1]));
                return error.name() + " " + (error.exception() instanceof RetriableException);
            case "default":
                String name = "org.apache.kafka.common.message." + words[1];
                return Class.forName(name).getConstructor().newInstance().toString();
            case "api":
                short number = Short.parseShort(words[1]);
                return ApiKeys.hasId(number) ? ApiKeys.forId(number).name : "none";
            default:
                return echo(words);
        }
    }

    private static String echo(String[] words) {
        try {
            ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(words[1]));
            ApiMessage message = words[0].equals("request") ? type.newRequest() : type.newResponse();
            short version = Short.parseShort(words[2]);
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
            message.read(new ByteBufferAccessor(bytes), version);
            if (bytes.hasRemaining()) {
                return "left over: " + bytes.remaining();
            }
            ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] array = new byte[again.remaining()];
            again.get(array);
            return HexFormat.of().formatHex(array);
        } catch (Exception error) {
            return "refused: " + error;
        }
    }
}
